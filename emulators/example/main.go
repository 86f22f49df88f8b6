// Command example uses three of Carillon's emulators from a module of its own: it
// starts them on free ports, stores a document, publishes a message, and sends a push
// message with the Firebase Admin SDK, which the FCM emulator then shows.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	fcmemulator "carillon.example/emulators/fcm"
	firestoreemulator "carillon.example/emulators/firestore"
	pubsubemulator "carillon.example/emulators/pubsub"
)

const project = "demo-example"

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	if err := useFirestore(ctx); err != nil {
		return fmt.Errorf("using Firestore: %w", err)
	}
	if err := usePubSub(ctx); err != nil {
		return fmt.Errorf("using Pub/Sub: %w", err)
	}
	if err := useFCM(ctx); err != nil {
		return fmt.Errorf("using FCM: %w", err)
	}
	return nil
}

func useFirestore(ctx context.Context) error {
	server, err := firestoreemulator.Start("127.0.0.1:0", firestoreemulator.Options{})
	if err != nil {
		return err
	}
	defer server.Close()

	// The client reads the address of an emulator from the environment.
	if err := os.Setenv("FIRESTORE_EMULATOR_HOST", server.Addr()); err != nil {
		return err
	}
	client, err := firestore.NewClient(ctx, project)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Doc("customers/anna").Set(ctx, map[string]any{"name": "Anna"}); err != nil {
		return err
	}
	snap, err := client.Doc("customers/anna").Get(ctx)
	if err != nil {
		return err
	}
	fmt.Println("Firestore has", snap.Data()["name"])
	return nil
}

func usePubSub(ctx context.Context) error {
	server, err := pubsubemulator.Start("127.0.0.1:0", pubsubemulator.Options{})
	if err != nil {
		return err
	}
	defer server.Close()

	if err := os.Setenv("PUBSUB_EMULATOR_HOST", server.Addr()); err != nil {
		return err
	}
	client, err := pubsub.NewClient(ctx, project)
	if err != nil {
		return err
	}
	defer client.Close()
	topic := "projects/" + project + "/topics/mailings"
	if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}); err != nil {
		return err
	}
	if _, err := client.Publisher(topic).Publish(ctx, &pubsub.Message{Data: []byte("hello")}).Get(ctx); err != nil {
		return err
	}
	fmt.Println("Pub/Sub has", len(server.Messages(topic)), "message")
	return nil
}

func useFCM(ctx context.Context) error {
	server, err := fcmemulator.Start("127.0.0.1:0", fcmemulator.Options{})
	if err != nil {
		return err
	}
	defer server.Close()

	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: project},
		option.WithEndpoint(server.URL()+"/v1"), option.WithoutAuthentication())
	if err != nil {
		return err
	}
	client, err := app.Messaging(ctx)
	if err != nil {
		return err
	}
	_, err = client.Send(ctx, &messaging.Message{Token: "annas-phone-0123456789", Notification: &messaging.Notification{Title: "Spring sale"}})
	if err != nil {
		return err
	}
	for _, m := range server.Messages(fcmemulator.Filter{}) {
		fmt.Println("FCM has a message for", m.Token)
	}
	return nil
}
