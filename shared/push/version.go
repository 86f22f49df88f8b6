package push

// Version is the version of Carillon, by semantic versioning. CHANGELOG.md has a section
// for each.
const Version = "0.1.0"
