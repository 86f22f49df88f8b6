//go:build !race

package inbox_test

// slower is by how much the race detector slows the server down.
const slower = 1
