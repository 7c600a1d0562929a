//! Hash tables that do not stay as large as they once were.

use std::collections::HashMap;
use std::hash::Hash;

/// Gives back the memory of a table that three quarters of its entries have left.
/// It saves time as well: to iterate over a table is to look at its free places too.
///
/// Half of the places that remain are free, so the table is not soon moved again.
/// One that held few entries at its largest (four times `few`) is not worth moving.
pub(crate) fn shrink<K: Eq + Hash, V>(table: &mut HashMap<K, V>, few: usize) {
    let kept = table.capacity() / 4;
    if table.len() < kept && kept > few {
        table.shrink_to(2 * kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: usize) -> HashMap<usize, usize> {
        (0..entries).map(|entry| (entry, entry)).collect()
    }

    #[test]
    fn a_table_that_three_quarters_have_left_gets_smaller_and_keeps_the_rest() {
        let mut table = table(1000);
        table.retain(|entry, _| *entry < 500);
        let before = table.capacity();
        shrink(&mut table, 16);
        assert_eq!(table.capacity(), before, "more than a quarter is left");
        table.retain(|entry, _| *entry < 100);
        shrink(&mut table, 16);
        assert!(table.capacity() < before, "less than a quarter is left");
        assert!(table.capacity() >= 2 * table.len(), "half is free");
        assert!((0..100).all(|entry| table[&entry] == entry));
    }

    #[test]
    fn a_table_for_few_entries_stays_as_it_is() {
        let mut table = table(50);
        let full = table.capacity();
        table.clear();
        shrink(&mut table, full / 4);
        assert_eq!(table.capacity(), full);
        shrink(&mut table, full / 4 - 1);
        assert!(table.capacity() < full);
    }
}
