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
//
// The steps of a request to messages:send, in order:
//
//	handleSend       the request (send.go, connection.go, body.go)
//	countSend        the quota of the project (quota.go)
//	decodeRequest    the body, checked against the schema of the v1 API: its
//	                 JSON (scan.go, number.go), its fields (decode.go,
//	                 value.go, schema.go, proto.go)
//	validate         the rules of a message (validate.go, condition.go)
//	decideOutcome    which answer it gets (send.go):
//	  forcedOutcome  what the settings force: outages, projects,
//	                 installations (forced_outcomes.go, installations.go)
//	  applyLatest    what SetOutcome says of a token (outcomes.go)
//	  chaosOutcome   what Settings.Chaos draws (settings.go, random.go)
//	sendError        the body of an error answer (answers.go)
//	accept           the stored message (memory.go, phones.go)
//	reportRequest    the record of the request (request_record.go)
//
// Wait (stats.go) and Subscribe (events.go) say what has happened.
package fcm
