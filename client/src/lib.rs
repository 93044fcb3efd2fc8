//! tap and tapctl: the user's and the administrator's commands.
