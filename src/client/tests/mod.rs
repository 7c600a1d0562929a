mod dial;
mod random;
