//! The use cases as timelines: set the clock, act, expect.
