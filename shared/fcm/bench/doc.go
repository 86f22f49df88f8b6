// Package bench measures the sender beside others: Firebase's Admin SDK, plain
// net/http and, where it is installed, h2load. All send the same message to the
// same stand-in for FCM, a lean HTTP/2 responder in a process of its own, and
// each runs in a fresh process with one CPU. All of it is tests:
//
//	go test -run '^$' -bench . ./shared/fcm/bench
package bench
