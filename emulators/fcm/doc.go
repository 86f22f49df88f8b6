// Package fcm is an emulator of Firebase Cloud Messaging: a real server that accepts
// messages over the HTTP v1 API, validates them as FCM does, answers with FCM's error
// bodies, and stores what every phone would have received.
//
// Google's emulator suite has no emulator of FCM. This one is a library for tests (Start on
// port 0, SetOutcome, Messages, Wait). With a small command around it, it is a server for
// any FCM client. Besides POST /v1/projects/{p}/messages:send it answers the Instance ID
// calls for topics, and has its own paths below /emulator/ to control and inspect it.
//
// It imports nothing of Carillon's functions, because an emulator that shares their code
// would share their mistakes.
package fcm
