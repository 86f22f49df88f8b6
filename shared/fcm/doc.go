// Package fcm sends messages to Firebase Cloud Messaging. No other package uses FCM.
//
// A message is compiled once for a mailing (Compile): everything that is the same for
// all targets is bytes already, and its size is known before it is sent. A Sender sends
// over a few HTTP/2 connections, as fast as the quota of the project and FCM allow, and
// waits when FCM asks for it. One table (result.go) judges every answer by its whole
// body: a bad payload, bad credentials, a quota or an outage must never make a push
// token look invalid.
//
// The way of one message:
//
//	Send      the job joins the queue of its mailing                   sender.go, queue.go
//	schedule  while something may be sent, decide which project's      flow.go, project.go
//	          turn it is, and in the project whose                     scheduler.go
//	          (fairness, retries, the rate) and give it a worker       limiter.go, quota.go, share.go
//	attempt   the worker sends it over a connection                    worker.go, pool.go
//	complete  judge the answer; answer the caller, or retry            complete.go, result.go
//
// scheduler decides and Sender acts: scheduler and what it has (queue, retries, limiter)
// take no lock, start no goroutine and read no clock. Each project has one of its own, so
// that its quota, its outages and what its senders want do not concern the others; all
// share the connections. Sender.mu guards them, and methods
// whose name ends in Locked need it. They return the answers to give once it is free.
package fcm
