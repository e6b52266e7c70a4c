// The mirror in LiveKit's SDK for Go: plays back what it hears and sees, answers data, texts, files and calls, and calls back; says
// what was muted and when it is back after a loss; mutes its own tracks and simulates failures when it is told to.
//
// usage: go_peer URL TOKEN NAME
package main

import (
	"fmt"
	"os"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
)

var scenarios = map[string]lksdk.SimulateScenario{
	"signal":       lksdk.SimulateSignalReconnect,
	"node-failure": lksdk.SimulateNodeFailure,
	"migration":    lksdk.SimulateMigration,
}

func main() {
	url, token, name := os.Args[1], os.Args[2], os.Args[3]
	left := make(chan struct{})
	ready := make(chan *lksdk.Room, 1)
	var room *lksdk.Room

	callback := lksdk.NewRoomCallback()
	callback.OnDataPacket = func(packet lksdk.DataPacket, from lksdk.DataReceiveParams) {
		user, ok := packet.(*lksdk.UserDataPacket)
		if !ok {
			return
		}
		switch user.Topic {
		case "ask":
			say(room, "answer", "re: "+string(user.Payload), from.SenderIdentity)
		case "lossy":
			send(room, "lossy", "re: "+string(user.Payload), from.SenderIdentity, false)
		case "call":
			go callBack(room, name, from.SenderIdentity)
		case "mute":
			for _, publication := range room.LocalParticipant.TrackPublications() {
				publication.(*lksdk.LocalTrackPublication).SetMuted(string(user.Payload) == "on")
			}
		case "simulate":
			go room.Simulate(scenarios[string(user.Payload)])
		case "bye":
			close(left)
		}
	}
	mirrors := newMirrors()
	callback.OnTrackSubscribed = func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, from *lksdk.RemoteParticipant) {
		go func() {
			room := <-ready
			ready <- room
			mirrors.show(room, track, from)
		}()
	}
	callback.OnTrackMuted = func(publication lksdk.TrackPublication, participant lksdk.Participant) {
		say(room, "muted", publication.Name(), participant.Identity())
	}
	callback.OnTrackUnmuted = func(publication lksdk.TrackPublication, participant lksdk.Participant) {
		say(room, "unmuted", publication.Name(), participant.Identity())
	}
	callback.OnReconnected = func() { say(room, "back", name, "tester") }
	var err error
	room, err = lksdk.ConnectToRoomWithToken(url, token, callback, lksdk.WithAutoSubscribe(true))
	must(err)
	ready <- room
	must(room.RegisterRpcMethod("greet", func(data lksdk.RpcInvocationData) (string, error) {
		return name + " greets " + data.Payload, nil
	}))
	must(room.RegisterTextStreamHandler("ask", func(reader *lksdk.TextStreamReader, from string) {
		go answerText(room, reader, from)
	}))
	must(room.RegisterByteStreamHandler("ask", func(reader *lksdk.ByteStreamReader, from string) {
		go answerFile(room, reader, from)
	}))
	fmt.Println("READY")
	<-left
	room.Disconnect()
}

func say(room *lksdk.Room, topic, words, to string) {
	send(room, topic, words, to, true)
}

func send(room *lksdk.Room, topic, words, to string, reliable bool) {
	must(room.LocalParticipant.PublishDataPacket(
		lksdk.UserData([]byte(words)),
		lksdk.WithDataPublishTopic(topic),
		lksdk.WithDataPublishReliable(reliable),
		lksdk.WithDataPublishDestination([]string{to}),
	))
}

func callBack(room *lksdk.Room, name, to string) {
	answer, err := room.LocalParticipant.PerformRpc(lksdk.PerformRpcParams{
		DestinationIdentity: to,
		Method:              "greet",
		Payload:             name,
	})
	must(err)
	say(room, "called", *answer, to)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
