//! Everything that is left to chance comes from here, and so from the seed.

use std::time::Duration;

/// Splitmix64: small, quick, and good enough to choose faults by.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed, the same draws.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed ^ 0x5851_f42d_4c95_7f2d);
        random.draw();
        random
    }

    /// Another stream, that takes no part in this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `below` − 1; 0 if that is nothing.
    pub fn below(&mut self, below: u64) -> u64 {
        self.draw().checked_rem(below).unwrap_or(0)
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True so many times in ten thousand.
    pub fn chance(&mut self, of_ten_thousand: u64) -> bool {
        self.below(10_000) < of_ten_thousand
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(at).expect("there is something to choose from")
    }

    /// Milliseconds, both ends included.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// Seconds, both ends included.
    pub fn seconds(&mut self, least: u64, most: u64) -> Duration {
        self.millis(least * 1_000, most * 1_000)
    }

    /// Time until the next of events that come so often on average: many short times, few long ones, none above eight times the mean.
    pub fn until_next(&mut self, mean: Duration) -> Duration {
        // The sum of coin-weighted halves is near enough to an exponential time, and exact in whole numbers.
        let mut left = mean / 8;
        let mut sum = Duration::ZERO;
        for _ in 0..64 {
            sum += left;
            if self.below(8) == 0 {
                break;
            }
            left = mean / 8;
        }
        sum + Duration::from_millis(self.below(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_repeats_and_keeps_its_bounds() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        for _ in 0..1_000 {
            let drawn = one.between(3, 9);
            assert!((3..=9).contains(&drawn) && drawn == other.between(3, 9));
        }
        assert_ne!(Random::new(1).below(1 << 40), Random::new(2).below(1 << 40));
        let mean: u64 = (0..4_000).map(|_| one.until_next(Duration::from_secs(80)).as_secs()).sum::<u64>() / 4_000;
        assert!((70..=90).contains(&mean), "{mean}");
    }
}
