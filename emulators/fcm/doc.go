// Package fcm is a stand-in for Firebase Cloud Messaging: a real server that
// takes messages over the HTTP v1 API, judges them as FCM does, answers with
// FCM's own error bodies, and remembers what every phone would have received.
//
// Google's emulator suite has none. This one is a library for tests (Start on
// port 0, SetOutcome, Messages, Wait) and, with a thin command around it, a
// server to point any FCM client at. Beside POST /v1/projects/{p}/messages:send
// it answers the Instance ID calls for topics, and has doors of its own below
// /emulator/ to steer and to look inside.
//
// It imports nothing of the programs it is a stand-in for: a stand-in that
// shared their code would share their mistakes.
package fcm
