//! What the repository says of itself: README, migration guide, number of packages.

mod packages;
mod readme_diff;
