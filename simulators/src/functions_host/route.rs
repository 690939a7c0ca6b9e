//! Routes of HTTP functions: which function a path means. Pure.
//!
//! Source: Microsoft Learn, "Azure Functions HTTP trigger", section Customize the HTTP endpoint.

/// Matches a path against a route template, both without slashes at the ends; yields the route's values.
///
/// Literals are compared without case. `{name}`, `{name?}` and `{*name}` are known; a constraint (`{id:int}`) is not checked.
pub(super) fn matches(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut values = Vec::new();
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for part in template.split('/').filter(|part| !part.is_empty()) {
        let Some(inner) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            if !segments.next()?.eq_ignore_ascii_case(part) {
                return None;
            }
            continue;
        };
        let name = inner.trim_start_matches('*');
        let name = name.split([':', '=']).next().unwrap_or_default();
        let optional = inner.ends_with('?');
        let name = name.trim_end_matches('?').to_owned();
        if inner.starts_with('*') {
            let rest: Vec<&str> = segments.by_ref().collect();
            values.push((name, rest.join("/")));
            return Some(values);
        }
        match segments.next() {
            Some(segment) => values.push((name, segment.to_owned())),
            None if optional => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(values)
}

/// The rest of a path below the prefix, without slashes at the ends.
pub(super) fn below<'path>(prefix: &str, path: &'path str) -> Option<&'path str> {
    let path = path.trim_matches('/');
    if prefix.is_empty() {
        return Some(path);
    }
    let (first, rest) = path.split_at_checked(prefix.len())?;
    if !first.eq_ignore_ascii_case(prefix) {
        return None;
    }
    rest.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_as_asp_net_routes_do() {
        let values = |template, path| matches(template, path).map(|values| values.len());
        assert_eq!(values("GetToken", "gettoken"), Some(0));
        assert_eq!(values("GetToken", "GetToken/more"), None);
        assert_eq!(values("a/{id:int}/{rest?}", "a/7"), Some(1));
        assert_eq!(values("a/{id}", "a"), None);
        assert_eq!(matches("{*route}", "x/y"), Some(vec![("route".to_owned(), "x/y".to_owned())]));
    }

    #[test]
    fn the_prefix_is_cut_off() {
        assert_eq!(below("api", "/api/GetToken"), Some("GetToken"));
        assert_eq!(below("api", "/apiGetToken"), None);
        assert_eq!(below("api", "/"), None);
        assert_eq!(below("", "/GetToken"), Some("GetToken"));
    }
}
