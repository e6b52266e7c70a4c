package main

import (
	"sync"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

var sources = map[webrtc.RTPCodecType]livekit.TrackSource{
	webrtc.RTPCodecTypeAudio: livekit.TrackSource_MICROPHONE,
	webrtc.RTPCodecTypeVideo: livekit.TrackSource_CAMERA,
}

// mirrors are our tracks, one a kind. Each plays the packets of the last track of its kind that was subscribed: after a restart
// that is another one.
type mirrors struct {
	lock     sync.Mutex
	tracks   map[webrtc.RTPCodecType]*lksdk.LocalTrack
	requests map[webrtc.RTPCodecType]func()
}

func newMirrors() *mirrors {
	return &mirrors{
		tracks:   map[webrtc.RTPCodecType]*lksdk.LocalTrack{},
		requests: map[webrtc.RTPCodecType]func(){},
	}
}

// show plays the packets of a track until it ends.
func (m *mirrors) show(room *lksdk.Room, track *webrtc.TrackRemote, from *lksdk.RemoteParticipant) {
	mirror := m.of(room, track, func() { from.WritePLI(track.SSRC()) })
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		packet.Extensions, packet.Extension = nil, false
		must(mirror.WriteRTP(packet, nil))
	}
}

// of gives the mirror of a track's kind, published when it is the first. Requests for key frames go to the track's sender.
func (m *mirrors) of(room *lksdk.Room, track *webrtc.TrackRemote, request func()) *lksdk.LocalTrack {
	m.lock.Lock()
	defer m.lock.Unlock()
	kind := track.Kind()
	m.requests[kind] = request
	if mirror, ok := m.tracks[kind]; ok {
		request()
		return mirror
	}
	mirror, err := lksdk.NewLocalTrack(track.Codec().RTPCodecCapability, lksdk.WithRTCPHandler(func(packet rtcp.Packet) {
		switch packet.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			m.lock.Lock()
			defer m.lock.Unlock()
			m.requests[kind]()
		}
	}))
	must(err)
	m.tracks[kind] = mirror
	options := &lksdk.TrackPublicationOptions{Name: "mirror", Source: sources[kind]}
	_, err = room.LocalParticipant.PublishTrack(mirror, options)
	must(err)
	return mirror
}
