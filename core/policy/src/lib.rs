//! Roles, labels, resources and templates, and the decision they make.
