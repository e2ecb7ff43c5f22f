//! The names of forks.
//!
//! In: a name as people and files write it. Out: revm's rules, or a sentence with the names that there are.

use revm::primitives::hardfork::SpecId;

/// The forks by the names that files use.
const FORKS: [(&str, SpecId); 14] = [
    ("Frontier", SpecId::FRONTIER),
    ("Homestead", SpecId::HOMESTEAD),
    ("Tangerine", SpecId::TANGERINE),
    ("SpuriousDragon", SpecId::SPURIOUS_DRAGON),
    ("Byzantium", SpecId::BYZANTIUM),
    ("Petersburg", SpecId::PETERSBURG),
    ("Istanbul", SpecId::ISTANBUL),
    ("Berlin", SpecId::BERLIN),
    ("London", SpecId::LONDON),
    ("Merge", SpecId::MERGE),
    ("Shanghai", SpecId::SHANGHAI),
    ("Cancun", SpecId::CANCUN),
    ("Prague", SpecId::PRAGUE),
    ("Osaka", SpecId::OSAKA),
];

/// Other names of some of them: of the consensus layer, of both layers together, and longer ones.
const ALIASES: [(&str, SpecId); 14] = [
    ("TangerineWhistle", SpecId::TANGERINE),
    ("ConstantinopleFix", SpecId::PETERSBURG),
    ("MuirGlacier", SpecId::ISTANBUL),
    ("ArrowGlacier", SpecId::LONDON),
    ("GrayGlacier", SpecId::LONDON),
    ("Paris", SpecId::MERGE),
    ("TheMerge", SpecId::MERGE),
    ("Capella", SpecId::SHANGHAI),
    ("Shapella", SpecId::SHANGHAI),
    ("Dencun", SpecId::CANCUN),
    ("Electra", SpecId::PRAGUE),
    ("Pectra", SpecId::PRAGUE),
    ("Fulu", SpecId::OSAKA),
    ("Fusaka", SpecId::OSAKA),
];

/// Forks that are named already, and whose rules are not known here.
const LATER: [(&str, &str); 3] =
    [("Amsterdam", "Amsterdam"), ("Glamsterdam", "Amsterdam"), ("Bogota", "Bogota")];

/// The most letters that a name is mistyped in.
const TYPOS: usize = 2;

/// The fork of a name, whatever its case, or a sentence with the names that there are.
///
/// ```
/// use deconflict_executor::{fork, fork_name};
///
/// assert_eq!(fork_name(fork("prague").unwrap()), Some("Prague"));
/// assert!(fork("Pragu").unwrap_err().contains("did you mean `Prague`"));
/// ```
pub fn fork(name: &str) -> Result<SpecId, String> {
    let wanted = plain(name);
    let all = FORKS.iter().chain(&ALIASES);
    if let Some((_, spec)) = all.clone().find(|(known, _)| plain(known) == wanted) {
        return Ok(*spec);
    }
    let known: Vec<&str> = FORKS.iter().map(|(known, _)| *known).collect();
    let latest = known.last().copied().unwrap_or_default();
    if let Some((_, later)) = LATER.iter().find(|(later, _)| plain(later) == wanted) {
        return Err(format!(
            "the rules of {later} are not known here; the latest that are known are those of {latest}"
        ));
    }
    let number = wanted.strip_prefix("bpo").and_then(|number| number.parse::<u8>().ok());
    if let Some(number) = number {
        return Err(format!(
            "BPO{number} is {latest} with other limits on blobs, which the schedule of the chain sets: leave the fork out, or \
             name `{latest}`"
        ));
    }
    let distance = |known: &str| strsim::damerau_levenshtein(&plain(known), &wanted);
    let near = all.map(|(known, _)| *known).min_by_key(|known| distance(known));
    let hint = near.filter(|near| distance(near) <= TYPOS).map(|near| format!("did you mean `{near}`? "));
    Err(format!(
        "there is no fork called `{name}`; {}it is one of {}",
        hint.unwrap_or_default(),
        known.join(", ")
    ))
}

/// The name of a fork, if files have one for it.
pub fn fork_name(spec: SpecId) -> Option<&'static str> {
    FORKS.iter().find(|(_, known)| *known == spec).map(|(name, _)| *name)
}

/// A name without what people write differently.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use revm::primitives::hardfork::SpecId;

    use super::{FORKS, fork, fork_name};

    #[test]
    fn names_are_read_in_any_case() {
        for (name, spec) in FORKS {
            for written in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(fork(&written), Ok(spec));
            }
            assert_eq!(fork_name(spec), Some(name));
        }
        assert_eq!(fork("spurious-dragon"), Ok(SpecId::SPURIOUS_DRAGON));
        assert_eq!(fork("paris"), Ok(SpecId::MERGE));
    }

    #[test]
    fn names_that_are_none_are_told_what_there_is() {
        let message = |name: &str| fork(name).expect_err("it is no fork");
        assert!(message("Pragu").contains("did you mean `Prague`?"));
        assert!(message("osakka").contains("did you mean `Osaka`?"));
        let far = message("Serenity");
        assert!(!far.contains("did you mean") && far.contains("Frontier") && far.contains("Osaka"), "{far}");
        for later in ["Amsterdam", "amsterdam", "glamsterdam"] {
            assert!(message(later).contains("the rules of Amsterdam are not known here"), "{later}");
        }
        assert!(message("bpo2").contains("BPO2 is Osaka with other limits on blobs"));
    }
}
