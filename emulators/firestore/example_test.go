package firestore_test

import (
	"context"
	"fmt"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
)

// The server runs in the process of the test. Other processes reach it when
// FIRESTORE_EMULATOR_HOST is set to its Addr.
func Example() {
	server, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	conn, err := grpc.NewClient(server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	client, err := sdk.NewClient(ctx, "demo", option.WithGRPCConn(conn))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for _, city := range []string{"riga", "oslo"} {
		if _, err := client.Doc("cities/"+city).Set(ctx, map[string]any{"capital": true}); err != nil {
			fmt.Println(err)
			return
		}
	}
	found, err := client.Collection("cities").Where("capital", "==", true).Documents(ctx).GetAll()
	fmt.Println(len(found), err)
	billed := server.Usage()
	fmt.Println(billed.Writes, "writes and", billed.Reads, "reads are billed")
	// Output:
	// 2 <nil>
	// 2 writes and 2 reads are billed
}
