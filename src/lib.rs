//! Keeps an Exact Online token chain alive.
