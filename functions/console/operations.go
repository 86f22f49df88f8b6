package console

import "net/http"

// A target is the function that serves an operation.
type target int

const (
	mailings target = iota
	customers
)

// An operation is a request that the console passes on.
type operation struct {
	method, path string
	role         Role // the least role that may do it
	to           target
	save         string // ending of the file that a browser stores the answer in; "": it shows the answer
}

// operations are all requests that the console passes on. Each that changes something
// needs RoleSend. A preview stores nothing.
var operations = []operation{
	{http.MethodGet, "/v1/mailings", RoleLook, mailings, ""},
	{http.MethodPost, "/v1/mailings", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/mailings/preview", RoleLook, mailings, ""},
	{http.MethodGet, "/v1/mailings/{id}", RoleLook, mailings, ""},
	{http.MethodGet, "/v1/mailings/{id}/recipients", RoleLook, mailings, "recipients.ndjson"},
	{http.MethodGet, "/v1/mailings/{id}/invalid-tokens", RoleLook, mailings, ""},
	{http.MethodGet, "/v1/mailings/{id}/timeline", RoleLook, mailings, ""},
	{http.MethodPost, "/v1/mailings/{id}/pause", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/mailings/{id}/resume", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/mailings/{id}/cancel", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/mailings/{id}/unflag", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/mailings/{id}/flag-held", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/mailings/{id}/drop-held", RoleSend, mailings, ""},
	{http.MethodPost, "/v1/messages", RoleSend, mailings, ""},
	{http.MethodGet, "/v1/messages/{id}", RoleLook, mailings, ""},
	{http.MethodGet, "/v1/customers/{customer}", RoleLook, customers, ""},
	{http.MethodGet, "/v1/customers/{customer}/messages", RoleLook, customers, ""},
	{http.MethodDelete, "/v1/customers/{customer}", RoleSend, customers, ""},
	{http.MethodGet, "/v1/settings", RoleLook, customers, ""},
	{http.MethodPut, "/v1/settings", RoleSend, customers, ""},
	{http.MethodGet, "/v1/stats", RoleLook, customers, ""},
}
