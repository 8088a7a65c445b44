//! What crossed between client and server, whatever calls were used for it.
