//! Lifecycle rules of a bucket for objects of a certain age, read from its own configuration.
//!
//! Amazon's rules and Google's are spelled differently; what matters here is the same: which names, at which age, and whether
//! an object is gone or cannot be read at once afterwards. What concerns only former versions, unfinished uploads or objects
//! with tags (ours have none) is left out.

use quick_xml::de::from_str;
use serde::Deserialize;

/// Fate of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is removed.
    Removed,
    /// It is moved to where it cannot be read at once.
    Archived,
}

/// A rule that concerns objects as old as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The starts of names that it concerns; none: all names.
    pub prefixes: Vec<String>,
    /// At which age, in days.
    pub days: Option<u64>,
    /// From which day on, or for what was stored before which day.
    pub date: Option<String>,
    /// Its fate then.
    pub fate: Expiry,
}

#[derive(Deserialize)]
struct Lifecycle {
    #[serde(rename = "Rule", default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawRule {
    status: Option<String>,
    prefix: Option<String>,
    filter: Option<Filter>,
    expiration: Option<RuleAge>,
    #[serde(rename = "Transition")]
    transitions: Vec<RuleAge>,
    action: Option<Action>,
    condition: Option<Condition>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    prefix: Option<String>,
    tag: Vec<EmptyElement>,
    and: Option<Box<Filter>>,
}

#[derive(Deserialize, Default)]
struct EmptyElement {}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RuleAge {
    days: Option<u64>,
    date: Option<String>,
    storage_class: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Action {
    delete: Option<EmptyElement>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Condition {
    age: Option<u64>,
    created_before: Option<String>,
    is_live: Option<String>,
    num_newer_versions: Option<u64>,
    days_since_noncurrent_time: Option<u64>,
    noncurrent_time_before: Option<String>,
    days_since_custom_time: Option<u64>,
    custom_time_before: Option<String>,
    matches_prefix: Vec<String>,
}

/// The rules in a document of either kind; `None` if it is not one.
pub fn rules(document: &str) -> Option<Vec<Rule>> {
    if !document.contains("<LifecycleConfiguration") {
        return None;
    }
    let Lifecycle { rules } = from_str(document).ok()?;
    Some(
        rules
            .into_iter()
            .flat_map(|rule| if rule.action.is_some() { of_google(rule) } else { of_s3(rule) })
            .collect(),
    )
}

fn of_s3(rule: RawRule) -> Vec<Rule> {
    let RawRule { status, prefix, filter, expiration, transitions, .. } = rule;
    let filter = filter.unwrap_or_default();
    let both = filter.and.unwrap_or_default();
    let has_tags = !filter.tag.is_empty() || !both.tag.is_empty();
    if status.is_some_and(|status| status != "Enabled") || has_tags {
        return Vec::new();
    }
    let prefix = prefix.or(filter.prefix).or(both.prefix).filter(|prefix| !prefix.is_empty());
    let prefixes: Vec<String> = prefix.into_iter().collect();
    let archives = transitions.into_iter().filter(|to| {
        // The other classes answer at once, and cost more.
        matches!(to.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
    });
    let removal = expiration.into_iter().map(|when| (when, Expiry::Removed));
    let all = removal.chain(archives.map(|when| (when, Expiry::Archived)));
    let dated = all.filter(|(when, _)| when.days.is_some() || when.date.is_some());
    dated
        .map(|(when, fate)| Rule { prefixes: prefixes.clone(), days: when.days, date: when.date, fate })
        .collect()
}

fn of_google(rule: RawRule) -> Vec<Rule> {
    let condition = rule.condition.unwrap_or_default();
    let Condition { age, created_before, is_live, matches_prefix, .. } = condition;
    let of_versions = is_live.is_some_and(|live| live == "false")
        || condition.num_newer_versions.is_some()
        || condition.days_since_noncurrent_time.is_some()
        || condition.noncurrent_time_before.is_some();
    // Our objects have no time of their own either.
    let of_custom = condition.days_since_custom_time.is_some() || condition.custom_time_before.is_some();
    let deletes = rule.action.is_some_and(|action| action.delete.is_some());
    if !deletes || of_versions || of_custom {
        return Vec::new();
    }
    let date =
        if age.is_none() && created_before.is_none() { Some("now".to_owned()) } else { created_before };
    vec![Rule { prefixes: matches_prefix, days: age, date, fate: Expiry::Removed }]
}

/// `Some(true)` if versions are kept, `Some(false)` if they never were or are not any more; `None` if the document does not tell.
pub fn keeps_versions(document: &str) -> Option<bool> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Versioning {
        status: Option<String>,
    }
    if !document.contains("<VersioningConfiguration") {
        return None;
    }
    let Versioning { status } = from_str(document).ok()?;
    Some(status.is_some_and(|status| status == "Enabled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(rule: &str) -> Vec<Rule> {
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
        rules(&format!("{head}<Rule><ID>a</ID>{rule}</Rule></LifecycleConfiguration>")).expect("reads")
    }

    fn rule(prefix: &[&str], days: Option<u64>, date: Option<&str>, fate: Expiry) -> Rule {
        Rule {
            prefixes: prefix.iter().map(ToString::to_string).collect(),
            days,
            date: date.map(str::to_owned),
            fate,
        }
    }

    #[test]
    fn rules_that_remove_or_archive_are_found_however_their_prefix_is_written() {
        let on = "<Status>Enabled</Status>";
        let expires = "<Expiration><Days>30</Days></Expiration>";
        for (filter, prefix) in [
            ("", &[][..]),
            ("<Prefix></Prefix>", &[]),
            ("<Prefix>a/</Prefix>", &["a/"]),
            ("<Filter/>", &[]),
            ("<Filter><Prefix>a/</Prefix></Filter>", &["a/"]),
            (
                "<Filter><And><Prefix>a/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>",
                &["a/"],
            ),
        ] {
            assert_eq!(
                s3(&format!("{filter}{on}{expires}")),
                [rule(prefix, Some(30), None, Expiry::Removed)],
                "{filter}"
            );
        }
        let archived = "<Transition><Days>1</Days><StorageClass>STANDARD_IA</StorageClass></Transition><Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>";
        assert_eq!(s3(&format!("{on}{archived}")), [rule(&[], Some(9), None, Expiry::Archived)]);
        let dated = "<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>";
        assert_eq!(
            s3(&format!("{dated}{on}")),
            [rule(&[], None, Some("2030-01-01T00:00:00.000Z"), Expiry::Removed)]
        );
    }

    #[test]
    fn rules_for_former_versions_uploads_and_tags_concern_nobody() {
        for other in [
            "<Status>Disabled</Status><Expiration><Days>1</Days></Expiration>",
            "<Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
            "<Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
            "<Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
            "<Status>Enabled</Status><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>",
            "<Status>Enabled</Status><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>l</Key><Value>w</Value></Tag></And></Filter><Expiration><Days>1</Days></Expiration>",
        ] {
            assert_eq!(s3(other), [], "{other}");
        }
    }

    #[test]
    fn the_rules_of_google_are_read_too() {
        let google = |action: &str, condition: &str| {
            rules(&format!("<?xml version='1.0'?><LifecycleConfiguration><Rule><Action>{action}</Action><Condition>{condition}</Condition></Rule></LifecycleConfiguration>")).expect("reads")
        };
        assert_eq!(google("<Delete/>", "<Age>30</Age>"), [rule(&[], Some(30), None, Expiry::Removed)]);
        let some = "<Age>30</Age><IsLive>true</IsLive><MatchesPrefix>a/</MatchesPrefix><MatchesPrefix>b/</MatchesPrefix>";
        assert_eq!(google("<Delete/>", some), [rule(&["a/", "b/"], Some(30), None, Expiry::Removed)]);
        assert_eq!(
            google("<Delete/>", "<CreatedBefore>2030-01-01</CreatedBefore>"),
            [rule(&[], None, Some("2030-01-01"), Expiry::Removed)]
        );
        for condition in [
            "<Age>1</Age><IsLive>false</IsLive>",
            "<NumNewerVersions>3</NumNewerVersions>",
            "<DaysSinceCustomTime>3</DaysSinceCustomTime>",
        ] {
            assert_eq!(google("<Delete/>", condition), []);
        }
        assert_eq!(google("<SetStorageClass>ARCHIVE</SetStorageClass>", "<Age>1</Age>"), []);
    }

    #[test]
    fn what_is_no_such_document_is_not_taken_for_an_empty_one() {
        for other in [
            "",
            "<ListBucketResult></ListBucketResult>",
            "{}",
            "<html></html>",
            "<LifecycleConfiguration><Rule><Expiration><Days>x</Days></Expiration></Rule></LifecycleConfiguration>",
        ] {
            assert_eq!(rules(other), None, "{other}");
            assert_eq!(keeps_versions(other), None);
        }
        assert_eq!(rules("<LifecycleConfiguration/>"), Some(vec![]));
        assert_eq!(keeps_versions("<VersioningConfiguration xmlns=\"x\"/>"), Some(false));
        assert_eq!(
            keeps_versions("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
            Some(true)
        );
        assert_eq!(
            keeps_versions("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
            Some(false)
        );
    }
}
