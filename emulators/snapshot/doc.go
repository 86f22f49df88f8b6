// Package snapshot writes and reads the files in which emulators keep their state: it has the
// form that all of these files share, replaces a file so that a crash leaves the old one or the
// new one, and locks a folder for one process.
//
// A file is text. Each line is one JSON object:
//
//	{"snapshot":"firestore","version":1,"at":"2026-11-28T12:00:00.000001Z"}
//	…                                  lines of the emulator
//	{"end":{"lines":2}}
//
// The first line names the emulator, the version of the form of its lines, and the time of the
// state. The last line begins with {"end" and has the number of the lines between both, so that
// a file that was cut is recognized at every place where it can be cut.
package snapshot
