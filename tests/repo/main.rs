//! Checks of the repository itself: the order of its modules, README, the migration
//! guide, the number of packages.

mod layering;
mod packages;
mod readme_diff;
