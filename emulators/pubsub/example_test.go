package pubsub_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	client "cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/pubsub"
)

// A message is pushed to a worker as the service does it. WaitIdle returns when the message
// is acknowledged.
func Example() {
	server, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Println(len(body) > 0, err)
		w.WriteHeader(http.StatusNoContent) // acknowledged
	}))
	defer worker.Close()
	if err := publish(server.Addr(), worker.URL); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(server.WaitIdle(context.Background()))
	// Output:
	// true <nil>
	// <nil>
}

func publish(addr, worker string) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := client.NewClient(ctx, "demo", option.WithGRPCConn(conn))
	if err != nil {
		return err
	}
	defer c.Close()
	const topic = "projects/demo/topics/orders"
	if _, err := c.TopicAdminClient.CreateTopic(ctx, &pb.Topic{Name: topic}); err != nil {
		return err
	}
	_, err = c.SubscriptionAdminClient.CreateSubscription(ctx, &pb.Subscription{
		Name: "projects/demo/subscriptions/orders", Topic: topic, PushConfig: &pb.PushConfig{PushEndpoint: worker}})
	if err != nil {
		return err
	}
	_, err = c.Publisher(topic).Publish(ctx, &client.Message{Data: []byte("hello")}).Get(ctx)
	return err
}
