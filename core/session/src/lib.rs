//! The room in which every session is asked for, checked, granted and watched.
