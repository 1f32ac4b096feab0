//! Names that are also folder names: one checked constructor each.

use std::{fmt, str::FromStr, sync::Arc};

/// Why a text is no name of a competition, model or blend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name is empty")]
    Empty,
    /// More than 100 characters.
    #[error("a name has {0} characters, at most 100 are allowed")]
    TooLong(usize),
    /// A character outside letters, digits, `.`, `_` and `-`, or a first one that is no letter or digit.
    #[error("`{name}` is not a name: letters, digits, `.`, `_`, `-`, starting with a letter or digit")]
    Character {
        /// The refused text.
        name: String,
    },
}

fn check(name: &str) -> Result<(), NameError> {
    let count = name.chars().count();
    if count == 0 {
        return Err(NameError::Empty);
    }
    if count > 100 {
        return Err(NameError::TooLong(count));
    }
    let starts_well = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return Err(NameError::Character { name: name.to_owned() });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks `name` and keeps it.
            pub fn new(name: &str) -> Result<Self, NameError> {
                check(name)?;
                Ok(Self(name.into()))
            }

            /// The name as it stands in YAML and as the folder is called.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }
    };
}

name!(
    /// A base model's name, the folder it lives in.
    ModelId
);
name!(
    /// A blend's name, the stem of its recipe and of its submission.
    BlendName
);
name!(
    /// A competition's name, the folder under `models/`, `blends/` and `submissions/`.
    CompetitionId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folder_names() {
        for good in ["a", "three-stage-nn", "v2.1_final", "0", &"x".repeat(100)] {
            assert_eq!(ModelId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".hidden", "-x", "a/b", "a b", "..", "ä", &"x".repeat(101)] {
            assert!(ModelId::new(bad).is_err(), "{bad:?}");
        }
    }
}
