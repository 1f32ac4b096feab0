//! Formulas of blends: `0.9*(0.37*three-stage-nn + 0.1*simple-new) + 0.1*tabnet`.
//!
//! ```text
//! sum     = product { "+" product }
//! product = factor { "*" factor }          at most one factor is not a number
//! factor  = number | name | "(" sum ")"
//! ```
//!
//! A word runs over letters, digits, `.`, `_` and `-`, so that a `-` always belongs to the name it stands in and nothing
//! is ever subtracted. A word of the shape `12`, `1.5`, `.5`, `2e-3` is a number, any other word is a name; `1e+5` is
//! one number although `+` ends a word. A model whose name has the shape of a number cannot be written in a formula.

use blend_core::ModelId;

/// What is wrong, and where: characters from the formula's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormulaError {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Parentheses deeper than this are refused: the parser calls itself.
const DEEPEST: usize = 64;

/// The members with their weights multiplied out, in the order written, each once.
pub(crate) fn parse(formula: &str) -> Result<Vec<(ModelId, f64)>, FormulaError> {
    let tokens = tokens(formula)?;
    let end = formula.chars().count();
    let mut parser = Parser { tokens: &tokens, next: 0, end, members: vec![], depth: 0 };
    parser.sum()?;
    match parser.peek() {
        None => Ok(parser.members.into_iter().map(|(model, weight, _)| (model, weight)).collect()),
        Some((at, token)) => Err(error(at, format!("{} does not belong here", token.say()))),
    }
}

fn error(at: usize, message: impl Into<String>) -> FormulaError {
    FormulaError { at, message: message.into() }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Plus,
    Times,
    Open,
    Close,
    Number(f64),
    Name(ModelId),
}

impl Token {
    fn say(&self) -> String {
        match self {
            Self::Plus => "`+`".into(),
            Self::Times => "`*`".into(),
            Self::Open => "`(`".into(),
            Self::Close => "`)`".into(),
            Self::Number(number) => format!("the number {number}"),
            Self::Name(name) => format!("`{name}`"),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// The length of the number at the start of `rest`, where one starts there and a word ends with it.
fn number_length(rest: &[char]) -> Option<usize> {
    let digits = |from: usize| rest[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let whole = digits(0);
    let mut end = whole;
    let mut fraction = 0;
    if rest.get(end) == Some(&'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if let Some('e' | 'E') = rest.get(end) {
        let sign = usize::from(matches!(rest.get(end + 1), Some('+' | '-')));
        let from = end + 1 + sign;
        let exponent = if from < rest.len() { digits(from) } else { 0 };
        if exponent > 0 {
            end = from + exponent;
        }
    }
    rest.get(end).is_none_or(|c| !is_word(*c)).then_some(end)
}

fn tokens(formula: &str) -> Result<Vec<(usize, Token)>, FormulaError> {
    let chars: Vec<char> = formula.chars().collect();
    let mut out = vec![];
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        at += 1;
        out.push((
            start,
            match chars[start] {
                c if c.is_whitespace() => continue,
                '+' => Token::Plus,
                '*' => Token::Times,
                '(' => Token::Open,
                ')' => Token::Close,
                c if is_word(c) => {
                    let length = number_length(&chars[start..]);
                    at = start + length.unwrap_or_else(|| chars[start..].iter().take_while(|c| is_word(**c)).count());
                    let word: String = chars[start..at].iter().collect();
                    if length.is_some() { number(start, &word)? } else { name(start, &word)? }
                }
                '/' => return Err(error(start, "nothing is divided: write `0.5*a` for half of it")),
                c => return Err(error(start, format!("`{c}` does not belong in a formula"))),
            },
        ));
    }
    Ok(out)
}

fn number(at: usize, word: &str) -> Result<Token, FormulaError> {
    match word.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Token::Number(number)),
        _ => Err(error(at, format!("`{word}` is too large for a number"))),
    }
}

fn name(at: usize, word: &str) -> Result<Token, FormulaError> {
    if word.starts_with('-') {
        return Err(error(at, "nothing is subtracted: negative weights are written under `members`"));
    }
    ModelId::new(word).map(Token::Name).map_err(|problem| error(at, problem.to_string()))
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    next: usize,
    end: usize,
    members: Vec<(ModelId, f64, usize)>,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<(usize, &Token)> {
        self.tokens.get(self.next).map(|(at, token)| (*at, token))
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|(_, next)| next == token);
        self.next += usize::from(found);
        found
    }

    fn sum(&mut self) -> Result<(), FormulaError> {
        loop {
            self.product()?;
            if !self.accept(&Token::Plus) {
                return Ok(());
            }
        }
    }

    fn product(&mut self) -> Result<(), FormulaError> {
        let start = self.peek().map_or(self.end, |(at, _)| at);
        let first_member = self.members.len();
        let mut scale = 1.0;
        let mut has_member = false;
        loop {
            let (at, token) = self.peek().ok_or_else(|| error(self.end, "a number, a name or `(` is missing"))?;
            let token = token.clone();
            self.next += 1;
            if has_member && matches!(token, Token::Name(_) | Token::Open) {
                return Err(error(at, "members are added, not multiplied: only numbers stand before `*`"));
            }
            match token {
                Token::Number(number) => scale *= number,
                Token::Name(model) => {
                    if let Some((_, _, first)) = self.members.iter().find(|(known, ..)| *known == model) {
                        let message = format!("`{model}` stands twice, first in column {}", first + 1);
                        return Err(error(at, message));
                    }
                    self.members.push((model, 1.0, at));
                    has_member = true;
                }
                Token::Open => {
                    self.parenthesis(at)?;
                    has_member = true;
                }
                other => return Err(error(at, format!("a number, a name or `(` is missing before {}", other.say()))),
            }
            if !self.accept(&Token::Times) {
                break;
            }
        }
        if !has_member {
            return Err(error(start, "a number stands alone: it multiplies no member"));
        }
        for (model, weight, at) in &mut self.members[first_member..] {
            *weight *= scale;
            if !weight.is_finite() {
                return Err(error(*at, format!("the weight of `{model}` is too large for a number")));
            }
        }
        Ok(())
    }

    fn parenthesis(&mut self, open: usize) -> Result<(), FormulaError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error(open, format!("parentheses are nested deeper than {DEEPEST}")));
        }
        self.sum()?;
        self.depth -= 1;
        if self.accept(&Token::Close) {
            return Ok(());
        }
        match self.peek() {
            None => Err(error(open, "`(` is never closed")),
            Some((at, token)) => Err(error(at, format!("`+`, `*` or `)` is missing before {}", token.say()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(formula: &str) -> Vec<(String, f64)> {
        let members = parse(formula).unwrap();
        members.into_iter().map(|(model, weight)| (model.to_string(), weight)).collect()
    }

    #[test]
    fn nested_sums_are_multiplied_out() {
        let found = flat("0.9*(0.37*three-stage-nn + 2*0.1*simple-new) + 0.1*tabnet + z");
        let want = [("three-stage-nn", 0.37 * 0.9), ("simple-new", 0.2 * 0.9), ("tabnet", 0.1), ("z", 1.0)];
        assert_eq!(found, want.map(|(name, weight)| (name.to_owned(), weight)));
        assert_eq!(flat("(a + b)*0.5"), [("a".to_owned(), 0.5), ("b".to_owned(), 0.5)]);
    }

    #[test]
    fn words_are_numbers_or_names() {
        for (word, number) in
            [("12", 12.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("2e-3", 2e-3), ("1E5", 1e5), ("1e+5", 1e5)]
        {
            assert_eq!(flat(&format!("{word}*a")), [("a".to_owned(), number)], "{word}");
        }
        for name in ["1e", "2-heads", "0.5.1", "1e-5-x", "inf", "nan", "v2.1_final-", "1e5x", "e5"] {
            assert_eq!(flat(name), [(name.to_owned(), 1.0)]);
        }
        assert_eq!(flat("1e + 5*a"), [("1e".to_owned(), 1.0), ("a".to_owned(), 5.0)]);
    }

    /// A formula's tree and how it is written.
    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(f64, String),
        Sum(f64, Vec<Tree>),
    }

    fn write(tree: &Tree, space: &str) -> String {
        match tree {
            Tree::Leaf(weight, name) => format!("{weight:?}{space}*{space}{name}"),
            Tree::Sum(weight, parts) => {
                let parts: Vec<String> = parts.iter().map(|part| write(part, space)).collect();
                format!("{weight:?}{space}*{space}({space}{}{space})", parts.join(&format!("{space}+{space}")))
            }
        }
    }

    fn flatten(tree: &Tree) -> Vec<(String, f64)> {
        match tree {
            Tree::Leaf(weight, name) => vec![(name.clone(), *weight)],
            Tree::Sum(weight, parts) => {
                parts.iter().flat_map(flatten).map(|(name, inner)| (name, inner * weight)).collect()
            }
        }
    }

    /// Gives every leaf a name of its own.
    fn number_leaves(tree: &mut Tree, next: &mut usize) {
        match tree {
            Tree::Leaf(_, name) => {
                *next += 1;
                *name = format!("{name}.{next}-x");
            }
            Tree::Sum(_, parts) => parts.iter_mut().for_each(|part| number_leaves(part, next)),
        }
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = (1e-9f64..1e9, "[a-zA-Z0-9][a-zA-Z0-9._-]{0,6}").prop_map(|(weight, name)| Tree::Leaf(weight, name));
        leaf.prop_recursive(4, 24, 4, |inner| {
            (1e-9f64..1e9, proptest::collection::vec(inner, 1..4)).prop_map(|(weight, parts)| Tree::Sum(weight, parts))
        })
    }

    proptest! {
        #[test]
        fn every_formula_is_its_tree(mut tree in trees(), space in "[ ]{0,2}") {
            number_leaves(&mut tree, &mut 0);
            prop_assert_eq!(flat(&write(&tree, &space)), flatten(&tree));
        }

        #[test]
        fn every_name_that_is_no_number_is_a_name(name in "[a-zA-Z0-9][a-zA-Z0-9._-]{0,12}") {
            let found = parse(&name);
            match name.parse::<f64>() {
                Ok(number) if number.is_finite() || name.starts_with(|c: char| c.is_ascii_digit()) => {
                    prop_assert!(found.is_err());
                }
                _ => prop_assert_eq!(found.unwrap(), [(ModelId::new(&name).unwrap(), 1.0)]),
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>(), words in "[ab1.e()+* -]{0,40}") {
            let end = |text: &str| text.chars().count();
            for text in [text, words] {
                if let Err(error) = parse(&text) {
                    prop_assert!(error.at <= end(&text));
                }
            }
        }
    }
}
