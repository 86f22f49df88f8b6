// Package fcm is an emulator of Firebase Cloud Messaging: a real server that accepts
// messages over the HTTP v1 API, validates them as FCM does, answers with FCM's error
// bodies, and stores the messages that each phone would have received.
//
// Google's emulator suite has no emulator of FCM. This one is a library for tests (Start on
// port 0, SetOutcome, Messages, Wait). A small command can run it as a server for any FCM
// client. Besides POST /v1/projects/{p}/messages:send it handles the Instance ID API's
// calls for topics and the Data API, gives out access tokens at POST /token, and has paths
// below /emulator/ that control it and show its state.
//
// It imports no package of Carillon's functions: with shared code it would have the same
// defects, and could not reveal them.
package fcm
