//! The policy as the rest of the gate uses it: YAML in, decisions out.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod help;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod options;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod resources;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod templates;
