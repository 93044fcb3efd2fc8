//! Small changes to an input, the same ones again for the same seed.

/// Inputs do not grow beyond this: what the bodies read is limited to little more.
const LENGTH_MAX: usize = 8 * 1024;

/// Values at which readers break more often than elsewhere.
const INTERESTING: [u8; 10] = [0x00, 0x01, 0x02, 0x30, 0x7f, 0x80, 0x81, 0x82, 0xfe, 0xff];

/// A source of changes (xorshift64*).
#[derive(Debug, Clone)]
pub struct Mutator(u64);

impl Mutator {
    /// A source that starts here; zero would never leave zero.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap_or_default() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        let any = u8::try_from(self.below(256)).unwrap_or_default();
        let chosen = self.below(2 * INTERESTING.len());
        INTERESTING.get(chosen).copied().unwrap_or(any)
    }

    /// An input with a few changes; `other` lends parts.
    pub fn change(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut output = input.to_vec();
        for _ in 0..=self.below(4) {
            self.change_once(&mut output, other);
        }
        output.truncate(LENGTH_MAX);
        output
    }

    fn change_once(&mut self, output: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(output.len() + 1);
        let to = at + self.below(output.len() - at + 1).min(32);
        match self.below(6) {
            0 => output.insert(at, self.byte()),
            1 => output.truncate(at),
            2 => drop(output.drain(at..to)),
            3 => {
                let copy: Vec<u8> = output.drain(at..to).collect();
                output.splice(at..at, copy.iter().chain(&copy).copied());
            }
            4 => {
                let from = self.below(other.len() + 1);
                let lent = other.iter().copied().skip(from).take(self.below(64));
                output.splice(at..to, lent);
            }
            _ => {
                let (bit, byte) = (self.below(8), self.byte());
                if let Some(old) = output.get_mut(at) {
                    *old = if bit < 4 { byte } else { *old ^ (1 << (bit - 1)) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_reaches_everything() {
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..200).map(|_| mutator.change(b"some input", b"another")).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(9));
        let outputs = run(7);
        assert!(outputs.iter().any(|output| output.len() > 10));
        assert!(outputs.iter().any(|output| output.len() < 10));
        assert!(outputs.iter().any(|output| output.len() == 10 && output != b"some input"));
        assert!(Mutator::new(0).change(b"", b"").len() <= LENGTH_MAX);
    }
}
