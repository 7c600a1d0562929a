//! Latencies and their quantiles.

use std::time::Duration;

/// Durations in buckets that are 1/32 of a power of two wide.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Histogram {
            counts: vec![0; 64 * 32],
            total: 0,
        }
    }

    pub fn add(&mut self, duration: Duration) {
        let nanoseconds = (duration.as_nanos() as u64).max(32);
        let power = nanoseconds.ilog2();
        let fraction = (nanoseconds >> (power - 5)) & 31;
        self.counts[(power * 32) as usize + fraction as usize] += 1;
        self.total += 1;
    }

    /// In microseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut left = (self.total as f64 * share) as u64;
        for (bucket, &count) in self.counts.iter().enumerate() {
            if count > left {
                let (power, fraction) = (bucket / 32, bucket % 32);
                return 2_f64.powi(power as i32) * (1.0 + fraction as f64 / 32.0) / 1e3;
            }
            left -= count;
        }
        0.0
    }
}
