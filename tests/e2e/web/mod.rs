//! The pages, in a real browser: taps that a terminal hands over, signing in, and what one finds there.

mod approve;
mod devices;
mod enrol;
mod guard;
mod origin;
mod own;
mod refuse;
mod scene;
mod shell;
mod shell_files;
mod shell_hostile;
mod shell_paste;
mod sign_in;
mod terminal;
mod watch;
