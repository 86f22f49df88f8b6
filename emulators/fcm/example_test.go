package fcm_test

import (
	"context"
	"fmt"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	"carillon.example/emulators/fcm"
)

func Example() {
	server, err := fcm.Start("127.0.0.1:0", fcm.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.SetOutcome("old-phone-*", "UNREGISTERED")

	ctx := context.Background()
	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: "demo"},
		option.WithEndpoint(server.URL()+"/v1"), option.WithoutAuthentication())
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := app.Messaging(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fid := range []string{"new-phone-1", "old-phone-1"} {
		_, err := client.Send(ctx, &messaging.Message{Fid: fid, Notification: &messaging.Notification{Title: "Hello"}})
		fmt.Println(fid, "gone:", messaging.IsUnregistered(err))
	}
	fmt.Println(len(server.Messages(fcm.Filter{})), "delivered")
	// Output:
	// new-phone-1 gone: false
	// old-phone-1 gone: true
	// 1 delivered
}
