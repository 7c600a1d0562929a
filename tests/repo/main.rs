//! Checks of the repository itself: README, migration guide, number of packages.

mod packages;
mod readme_diff;
