package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
)

// writeKey writes a file in the format of a service account key, with a new
// key. The tests need such a file to start; the key gives access to nothing.
func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}

	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}

	b, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "demo", "private_key_id": "none",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": "conformance@demo.iam.gserviceaccount.com", "client_id": "1",
		"token_uri": "https://127.0.0.1/token",
	})
	if err != nil {
		return err
	}

	return os.WriteFile(path, b, 0o600)
}
