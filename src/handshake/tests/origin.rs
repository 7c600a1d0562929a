use crate::Config;
use crate::handshake::origin::check_host;

#[test]
fn a_host_that_does_not_parse_is_never_listed() {
    let config = Config::new().hosts(["a"]);
    assert!(check_host(&config, "a").is_ok());
    for host in ["a b", "a/", ""] {
        assert!(check_host(&config, host).is_err(), "{host:?}");
        assert!(check_host(&Config::new(), host).is_ok(), "{host:?}");
    }
}
