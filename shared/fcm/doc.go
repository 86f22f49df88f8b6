// Package fcm sends a mailing's messages to Firebase Cloud Messaging, and is
// the only package that knows it.
//
// A message is compiled once a mailing (Compile): all that does not change from
// one target to the next is bytes already, and its size is known before it is
// sent. A Sender sends over a few HTTP/2 connections of its own, as fast as the
// project's quota allows and FCM answers, and holds back what FCM asks to be
// held back. Answers are judged from the whole body by one table (result.go):
// whether a push token is dead must never be guessed from a bad payload, a bad
// credential, a quota or an outage.
package fcm
