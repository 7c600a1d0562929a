//! Which clients may connect: the configured rules about `Host` and `Origin`.

use http::header::HeaderValue;

use super::quote::shown;
use super::rejection::{OriginRule, Reason};
use crate::config::{Config, Host, Origin, Origins};

/// Fails if the configuration lists the names of this server, and `host` is not
/// one of them.
pub(super) fn check_host(config: &Config, host: &str) -> Result<(), Reason> {
    let Some(hosts) = &config.hosts else {
        return Ok(());
    };
    let is_listed = Host::parse(host).is_some_and(|host| {
        let mut hosts = hosts.iter().filter_map(|listed| Host::parse(listed));
        hosts.any(|listed| host.matches(&listed))
    });
    if is_listed {
        Ok(())
    } else {
        Err(Reason::ForeignHost(shown(host)))
    }
}

/// Fails if the request comes from a page of an origin that the configuration
/// does not allow (RFC 6455, section 10.2).
///
/// Without this check, any page on the web could open a socket with the cookies
/// of its visitor. A request without `Origin` does not come from a page.
pub(super) fn check_origin(
    config: &Config,
    origin: Option<&HeaderValue>,
    host: &str,
    scheme: Option<&str>,
) -> Result<(), Reason> {
    let Some(origin) = origin else {
        return Ok(());
    };
    let text = std::str::from_utf8(origin.as_bytes()).ok();
    let parsed = text.and_then(Origin::parse);
    let allowed = match &config.origins {
        Origins::Any => return Ok(()),
        Origins::Same => parsed
            .zip(Host::parse(host))
            .is_some_and(|(origin, host)| origin.is_of(&host, scheme)),
        Origins::List(list) => list.iter().any(|allowed| {
            text == Some(allowed)
                || parsed
                    .zip(Origin::parse(allowed))
                    .is_some_and(|(origin, allowed)| origin.is(&allowed))
        }),
        Origins::If(allowed) => text.is_some_and(|text| allowed(text)),
    };
    if allowed {
        return Ok(());
    }
    let rule = match &config.origins {
        Origins::Same => OriginRule::Same(match scheme {
            None => shown(host),
            Some(scheme) => shown(format!("{scheme}://{host}")),
        }),
        Origins::List(_) => OriginRule::List,
        Origins::If(_) | Origins::Any => OriginRule::If,
    };
    let origin = shown(origin);
    Err(Reason::Origin { origin, rule })
}
