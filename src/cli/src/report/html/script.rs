//! What the page does when it is clicked: sorting, filtering, the numbers under the pointer. Without it everything is
//! there and readable.

/// The page's only script.
pub(crate) const SCRIPT: &str = include_str!("page.js");

#[cfg(test)]
mod tests {
    use super::SCRIPT;

    #[test]
    fn the_script_cannot_end_its_own_element_and_reaches_for_nothing() {
        assert!(!SCRIPT.contains("</"));
        for reach in ["fetch(", "XMLHttpRequest", "import(", "innerHTML", "eval(", "http:", "https:", "document.write"]
        {
            assert!(!SCRIPT.contains(reach), "{reach}");
        }
    }
}
