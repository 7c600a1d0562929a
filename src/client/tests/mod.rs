mod backoff;
mod dial;
mod header_case;
mod random;
