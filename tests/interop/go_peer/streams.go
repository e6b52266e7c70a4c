package main

import (
	"fmt"
	"maps"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// answerText sends a text back, written in two parts.
func answerText(room *lksdk.Room, reader *lksdk.TextStreamReader, from string) {
	writer := room.LocalParticipant.StreamText(lksdk.StreamTextOptions{
		Topic:                 "answer",
		Attributes:            reader.Info.Attributes,
		DestinationIdentities: []string{from},
	})
	writer.Write("re: ", nil)
	done := func() { writer.Close() }
	writer.Write(reader.ReadAll(), &done)
}

// answerFile sends a file back, and what was seen of it among its attributes.
func answerFile(room *lksdk.Room, reader *lksdk.ByteStreamReader, from string) {
	info := reader.Info
	attributes := maps.Clone(info.Attributes)
	attributes["seen"] = fmt.Sprintf("%s %s %d", *info.Name, info.MimeType, *info.Size)
	name := "re: " + *info.Name
	writer := room.LocalParticipant.StreamBytes(lksdk.StreamBytesOptions{
		Topic:                 "answer",
		FileName:              &name,
		MimeType:              info.MimeType,
		TotalSize:             *info.Size,
		Attributes:            attributes,
		DestinationIdentities: []string{from},
	})
	done := func() { writer.Close() }
	writer.Write(reader.ReadAll(), &done)
}
