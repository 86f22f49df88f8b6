// Package console tests the page of the function console in a browser, on the whole cloud
// of a laptop. It has no code of its own.
//
// axe-core is installed by npm ci in this folder. Without it, or without Chromium, the
// tests that need them are skipped.
package console
