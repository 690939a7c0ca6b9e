//! Where Exact Online is, by country.

/// Region codes and their sites, as `SherinBloemendaal/n8n-exact-online` lists them in its credentials.
pub const REGIONS: [(&str, &str); 7] = [
    ("nl", "https://start.exactonline.nl"),
    ("be", "https://start.exactonline.be"),
    ("de", "https://start.exactonline.de"),
    ("fr", "https://start.exactonline.fr"),
    ("es", "https://start.exactonline.es"),
    ("uk", "https://start.exactonline.co.uk"),
    ("us", "https://start.exactonline.com"),
];

/// The base URL of a region, without a slash at the end; None for a code that is not one of [`REGIONS`]. Upper and lower case are the same.
///
/// An app is registered in one country: elsewhere Exact says that its client is not found (picqer/exact-php-client#617).
#[must_use]
pub fn base_url(region: &str) -> Option<&'static str> {
    REGIONS.iter().find(|(code, _)| code.eq_ignore_ascii_case(region)).map(|(_, url)| *url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_site() {
        for (region, top) in [("nl", "nl"), ("be", "be"), ("de", "de"), ("fr", "fr"), ("es", "es"), ("uk", "co.uk"), ("us", "com")] {
            assert_eq!(base_url(region), Some(format!("https://start.exactonline.{top}").as_str()), "{region}");
        }
        assert_eq!(REGIONS.len(), 7);
    }

    #[test]
    fn case_does_not_matter_and_anything_else_is_no_region() {
        assert_eq!(base_url("NL"), base_url("nl"));
        for other in ["", "com", "co.uk", "nl ", "gb", "https://start.exactonline.nl"] {
            assert_eq!(base_url(other), None, "{other}");
        }
    }
}
