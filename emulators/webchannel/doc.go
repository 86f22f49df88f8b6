// Package webchannel carries the bidirectional streams of gRPC services to web pages, which
// cannot open them: with WebChannel, the protocol that Google's SDKs for browsers use. The
// methods with only one request and one response have the REST form of package transcode.
//
// A channel is one stream. It has one path for each method, such as
// /google.firestore.v1.Firestore/Listen/channel, and these requests:
//
//   - A POST without SID opens the channel. Its body may have headers of the stream and the
//     first messages. The answer has the id of the channel, which the others name in SID.
//   - A POST with SID is the forward channel: it has the next messages to the service.
//   - A GET is the back channel: its response has the messages of the service, for as long as
//     it is open. With CI=1 it ends after the first part (long polling). A client opens the
//     next one when it has ended, and says in AID what it has received.
//   - A POST or GET with TYPE=terminate ends the channel.
//
// Messages have numbers in both directions. The forward channel ignores a message that came
// before, and the back channel sends a message again until the client has confirmed it, so a
// lost connection loses nothing.
//
// A channel ends when its client has sent no request, and has had no back channel, for a
// minute. What it holds for its client is limited: when the limit is reached, it stops
// reading the stream.
//
// Known differences from Google's services: a channel is opened with a POST only (not with a
// GET, which a "fast handshake" uses), and the messages are JSON only.
package webchannel
