//! The codec and the negotiation without frames.
