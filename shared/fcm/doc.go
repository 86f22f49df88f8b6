// Package fcm sends messages to Firebase Cloud Messaging. No other package uses FCM.
//
// A message is compiled once for a mailing (Compile): everything that is the same for
// all targets is bytes already, and its size is known before it is sent. A Sender sends
// over a few HTTP/2 connections, as fast as the quota of the project and FCM allow, and
// waits when FCM asks for it. One table (classify.go) classifies every answer by its whole
// body: a bad payload, bad credentials, a quota or an outage must never make a push
// token look invalid.
//
// The steps of one message, in order:
//
//	Send              an Item becomes a job in the queue of its project,
//	                  where each mailing has a queue of its own
//	                  (enqueue.go, job.go, queue.go)
//	startReadyJobs    choose the project whose turn it is, and its next
//	                  job: fairness, retries, the rate (start_jobs.go,
//	                  project.go, scheduler.go, limiter.go, quota.go,
//	                  quota_share.go)
//	  ensureAccessToken  look for an access token, which the job waits for
//	                  (auth.go)
//	  reserveConn     reserve a place on a connection for it (pool.go)
//	runAttempts       a worker makes attempts until there is no next job
//	                  (worker.go)
//	  sendRequest     one attempt over this connection (worker.go)
//	  completeAttempt record what the response says about FCM, and answer
//	                  the caller or add the job to the retries; then
//	                  choose the next job of the worker
//	                  (complete_attempt.go, deferred_answers.go,
//	                  outage.go, retries.go)
//	    classify      first of all: say what the response means
//	                  (classify.go, answer.go)
//	watchOverdue      every 250 ms at the latest: what no event triggers
//	                  (overdue.go)
//
// A job can wait for five things: a hold of its project (limiter.holdEnd), a quota that is
// used up (quotaWatch.until), the rate (limiter.bucket), a connection, and an access token.
//
// scheduler decides and Sender acts: scheduler and its parts (queue, retries, limiter)
// take no lock, start no goroutine and read no clock. Each project has a scheduler of
// its own, so that its quota, its outages and the demands of its senders do not concern
// the other projects. All projects share the connections.
//
// Sender.mu guards the schedulers, the connections and the credentials. A method whose
// name ends in Locked must be called with Sender.mu held. To give an answer calls code of
// the caller, which may call Send. So these methods collect answers, and the caller gives
// them after it has released Sender.mu.
package fcm
