use rustls::crypto::{CryptoProvider, ring};

/// Has TLS of this process compute with ring, unless something else was chosen before. To be called before a client of
/// HTTP is built; as often as one likes.
pub fn install_tls() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been quicker.
        let _ = ring::default_provider().install_default();
    }
}
