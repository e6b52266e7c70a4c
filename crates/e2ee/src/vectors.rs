//! Frames that other implementations encrypted: opened, and encrypted again to the same bytes.

use std::sync::Arc;

use crate::annex_b;
use crate::clear_bytes::FrameCodec;
use crate::frame::{self, SealedFrame};
use crate::keys::{self, IV_BYTES, Keys, Recipe};
use crate::{Derivation, KeyOwner, KeyProvider, KeyProviderOptions};

/// Written by `tests/vectors/make_livekit_client.mjs` with livekit-client 2.23.0.
const LIVEKIT_CLIENT: &str = include_str!("../tests/vectors/livekit_client.txt");

/// What a browser got from the official SDK (`livekit` 1.2.1) through livekit-server 1.13.4, before decryption.
const OFFICIAL_SDK: &str = include_str!("../tests/vectors/official_sdk.txt");

struct Vector {
    codec: String,
    derivation: Derivation,
    material: Vec<u8>,
    ratchets: usize,
    key_index: u8,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

fn vectors(file: &str) -> Vec<Vector> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        Vector {
            codec: fields[0].into(),
            derivation: derivation(fields[1]),
            material: unhex(fields[2]),
            ratchets: fields[3].parse().unwrap(),
            key_index: fields[4].parse().unwrap(),
            plain: unhex(fields[5].trim_matches('-')),
            sealed: unhex(fields[6]),
        }
    };
    file.lines().map(parse).collect()
}

fn derivation(name: &str) -> Derivation {
    match name {
        "pbkdf2" => Derivation::Pbkdf2,
        "hkdf" => Derivation::Hkdf,
        _ => panic!("{name}"),
    }
}

fn frame_codec(name: &str) -> Option<FrameCodec> {
    Some(match name {
        "audio" => FrameCodec::Audio,
        "vp8" => FrameCodec::Vp8,
        "vp9" => FrameCodec::Vp9,
        "h264" => FrameCodec::H264,
        "h265" => FrameCodec::H265,
        "data" => return None,
        _ => panic!("{name}"),
    })
}

fn recipe(derivation: Derivation) -> Arc<Recipe> {
    let salt = KeyProviderOptions::default().ratchet_salt;
    Arc::new(Recipe { derivation, salt })
}

impl Vector {
    fn keys(&self) -> Arc<Keys> {
        let mut keys = Keys::new(recipe(self.derivation), self.material.clone());
        for _ in 0..self.ratchets {
            keys = keys.ratchet().clone();
        }
        keys
    }

    /// The frame as its receiver gets it: with start codes of four bytes up to the first slice.
    fn expected(&self, codec: FrameCodec) -> Vec<u8> {
        let head = codec.head(&self.plain);
        if !head.is_annex_b {
            return self.plain.clone();
        }
        let mut expected = vec![];
        annex_b::write_normalised(&self.plain[..head.bytes], |_| false, &mut expected);
        expected.extend_from_slice(&self.plain[head.bytes..]);
        expected
    }

    fn iv(&self, codec: FrameCodec) -> [u8; IV_BYTES] {
        let head = codec.head(&self.sealed);
        let mut rest = vec![];
        if head.is_annex_b {
            annex_b::unescape(&self.sealed[head.bytes..], &mut rest);
        } else {
            rest.extend_from_slice(&self.sealed[head.bytes..]);
        }
        let end = rest.len() - 2;
        rest[end - IV_BYTES..end].try_into().unwrap()
    }
}

#[test]
fn frames_of_livekit_client_are_opened() {
    for vector in vectors(LIVEKIT_CLIENT) {
        let Some(codec) = frame_codec(&vector.codec) else {
            continue;
        };
        let sealed = SealedFrame::parse(codec, &vector.sealed).unwrap();
        assert_eq!(sealed.key_index, vector.key_index);
        assert!(sealed.has_usual_iv());
        assert_eq!(
            sealed.open(vector.keys().cipher()),
            Some(vector.expected(codec)),
            "{codec:?}"
        );
    }
}

#[test]
fn frames_are_encrypted_to_the_bytes_of_livekit_client() {
    for vector in vectors(LIVEKIT_CLIENT) {
        let Some(codec) = frame_codec(&vector.codec) else {
            continue;
        };
        let (keys, iv) = (vector.keys(), vector.iv(codec));
        let sealed = frame::seal(keys.cipher(), vector.key_index, iv, codec, &vector.plain).unwrap();
        assert_eq!(sealed, vector.sealed, "{codec:?}");
    }
}

#[test]
fn frames_of_the_official_sdk_are_opened_and_encrypted_again_to_the_same_bytes() {
    for vector in vectors(OFFICIAL_SDK) {
        let codec = frame_codec(&vector.codec).unwrap();
        let (keys, iv) = (vector.keys(), vector.iv(codec));
        let sealed = SealedFrame::parse(codec, &vector.sealed).unwrap();
        assert!(sealed.has_usual_iv());
        let plain = sealed.open(keys.cipher()).expect("its key");
        let again = frame::seal(keys.cipher(), sealed.key_index, iv, codec, &plain).unwrap();
        assert_eq!(again, vector.sealed, "{codec:?}");
    }
}

#[test]
fn data_of_livekit_client_is_opened() {
    let all = vectors(LIVEKIT_CLIENT);
    let of_data: Vec<&Vector> = all.iter().filter(|vector| vector.codec == "data").collect();
    assert_eq!(of_data.len(), 4);
    for vector in of_data {
        let (iv, sealed) = vector.sealed.split_at(IV_BYTES);
        let options = KeyProviderOptions {
            derivation: vector.derivation,
            ..KeyProviderOptions::default()
        };
        let provider = KeyProvider::new(options, Arc::new(|work| work())).unwrap();
        provider.set_key(KeyOwner::Shared, vector.material.clone(), vector.key_index.into());
        for _ in 0..vector.ratchets {
            provider.ratchet_key(KeyOwner::Shared, vector.key_index.into());
        }
        let opened = provider.open_data("anyone", iv, vector.key_index, sealed, false);
        assert_eq!(opened.unwrap(), vector.plain);
    }
}

/// No LiveKit client encrypts AV1 for others; the layout of the native ones is that of VP9: nothing stays clear.
#[test]
fn av1_is_laid_out_like_vp9() {
    let vectors = vectors(LIVEKIT_CLIENT);
    let vector = vectors.iter().find(|vector| vector.codec == "vp9").unwrap();
    let keys = vector.keys();
    let sealed = SealedFrame::parse(FrameCodec::Av1, &vector.sealed).unwrap();
    assert_eq!(sealed.open(keys.cipher()).unwrap(), vector.plain);
    let iv = vector.iv(FrameCodec::Av1);
    let again = frame::seal(
        keys.cipher(),
        vector.key_index,
        iv,
        FrameCodec::Av1,
        &vector.plain,
    );
    assert_eq!(again.unwrap(), vector.sealed);
}

#[test]
fn keys_are_derived_as_published() {
    // The first is a test value of LiveKit's libwebrtc; the others were computed with Python's hashlib.
    let material: Vec<u8> = (0..16).collect();
    let salt: Vec<u8> = (0..8).collect();
    let of_webrtc = Derivation::Pbkdf2.derive(&crate::secret::Secret::new(material), &salt, 16);
    assert_eq!(of_webrtc.bytes(), unhex("a658cd52efbacadfecdfe0a0dc574ec3"));
    let cases = [
        (
            "pbkdf2",
            "5b0a8f826680865f9c7b75b08ba5084c",
            "5b0a8f826680865f9c7b75b08ba5084cd48440ee12dcf709d188e77e2c85171a",
            "9695a5038352cac6546e6047a99c13ea",
        ),
        (
            "hkdf",
            "e458cad5d3938267878127c73274909f",
            "e458cad5d3938267878127c73274909f2558e82f371b962072e4dba28c549645",
            "e309e1a04dbe9301f4f1a39ffa16a6f6",
        ),
    ];
    for (name, key, ratcheted_material, ratcheted_key) in cases {
        let recipe = recipe(derivation(name));
        let derive = |material: &[u8]| {
            let material = crate::secret::Secret::new(material.to_vec());
            recipe.derivation.derive(&material, &recipe.salt, 16)
        };
        assert_eq!(derive(b"12345678").bytes(), unhex(key), "{name}");
        let keys = Keys::new(recipe.clone(), b"12345678".to_vec());
        assert_eq!(keys.ratchet().material(), unhex(ratcheted_material), "{name}");
        assert_eq!(
            derive(keys.ratchet().material()).bytes(),
            unhex(ratcheted_key),
            "{name}"
        );
    }
}

/// The layout written out by hand: TOC | ciphertext | tag | IV | 0c | index.
#[test]
fn a_frame_is_laid_out_as_documented() {
    let keys = Keys::new(recipe(Derivation::Pbkdf2), b"12345678".to_vec());
    let plain = unhex("78000102030405060708090a0b0c0d0e0f");
    let iv = unhex("12345678000003c0000003c0").try_into().unwrap();
    let sealed = frame::seal(keys.cipher(), 0, iv, FrameCodec::Audio, &plain).unwrap();
    let expected =
        "78 f22342924e1c7471c2805b434e31e395 2065a9bec7442fe9cc84d532a26ddc57 12345678000003c0000003c0 0c 00";
    assert_eq!(sealed, unhex(&expected.replace(' ', "")));
    let mut data = b"hello".to_vec();
    keys::seal(keys.cipher(), iv, &[], &mut data).unwrap();
    assert_eq!(data, unhex("9a472cfd25deda3cea8289814e6def5ad9a21a8f81"));
}
