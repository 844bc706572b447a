// Package api answers HTTP requests of programs: candidates are predicted, published and
// chosen, labels are published, decisions of the trainer are listed.
//
// JSON or JSON Lines arrive; predictions leave in the order of the candidates, made by
// the stages of the stream, so that an answer has the bits of the message that the
// predictions topic would carry. The handlers get the process's parts as functions and
// small interfaces; the server, its token and its limits on connections belong to ops.
package api
