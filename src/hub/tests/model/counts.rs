//! What has happened in a run, to see that it is worth something.

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) appended: usize,
    pub(super) repeated: usize,
    pub(super) delivered: usize,
    pub(super) replayed: usize,
    pub(super) resumed: usize,
    pub(super) missed: usize,
    pub(super) broken: usize,
    pub(super) repaired: usize,
    pub(super) reads: usize,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.appended += other.appended;
        self.repeated += other.repeated;
        self.delivered += other.delivered;
        self.replayed += other.replayed;
        self.resumed += other.resumed;
        self.missed += other.missed;
        self.broken += other.broken;
        self.repaired += other.repaired;
        self.reads += other.reads;
    }

    pub(super) fn is_worth_something(&self) -> bool {
        let counts = [
            self.appended,
            self.repeated,
            self.delivered,
            self.replayed,
            self.resumed,
            self.repaired,
        ];
        counts.iter().all(|count| *count > 1_000)
    }
}
