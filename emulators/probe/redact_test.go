package probe

import (
	"testing"

	"carillon.example/emulators/testcloud/check"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	r := newRedactor()
	r.add("project", "example.com:shop")
	r.add("topic", "shop-news", "shop")
	r.add("database", "")
	for text, want := range map[string]string{
		"project example.com:shop is unknown":           "project <project> is unknown",
		"?project=example.com%3Ashop":                   "?project=<project>",
		"topic shop-news of shop":                       "topic <topic> of <topic>",
		"projects/other-one/messages/0:17%a1":           "projects/<project>/messages/<message>",
		"projects/p/databases/(default)/documents/a/b":  "projects/<project>/databases/<database>/documents/a/b",
		"consumer 'project_number:407408718192'":        "consumer 'project_number:<number>'",
		"x@y.iam.gserviceaccount.com may not":           "<account> may not",
		"token dA1:APA91bE-_x is bad":                   "token <token> is bad",
		"cut APA91 stays, 2419200 seconds, 4096 bytes":  "cut APA91 stays, 2419200 seconds, 4096 bytes",
		"indexes?create_composite=Cl-Q_x&more":          "indexes?create_composite=<index>&more",
		"0123456789abcdefghijABCDEFGHIJ_0123456789-abc": "<long>",
		"Invalid value at 'message.data[0].value'":      "Invalid value at 'message.data[0].value'",
		"type.googleapis.com/google.firebase.fcm.v1.Fc": "type.googleapis.com/google.firebase.fcm.v1.Fc",
	} {
		check.Equal(t, r.hide(text), want, "%q without secrets", text)
	}
}

// Names are new in each run, and have the forms of real ones.
func TestNames(t *testing.T) {
	t.Parallel()
	a, b := inventNames(), inventNames()
	for what, pair := range map[string][2]string{
		"token": {a.token, b.token}, "fid": {a.fid, b.fid}, "topic": {a.topic, b.topic},
		"project": {a.otherProject, b.otherProject}, "collection": {a.collection, b.collection},
	} {
		if pair[0] == pair[1] {
			t.Errorf("the %s of two runs is %q, want two", what, pair[0])
		}
	}
	check.Equal(t, len(a.installation()), 22, "the length of an installation id")
	check.Equal(t, len(a.fid), 22, "the length of an installation id")
	check.Equal(t, len(a.token), 22+len(":APA91b")+134, "the length of a token")
	check.Between(t, len(a.otherProject), 6, 30, "the length of a project's id")
}
